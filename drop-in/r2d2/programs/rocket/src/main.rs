//! Launches the application, on the database in `Rocket.toml` or `ROCKET_DATABASES`.

#[rocket::launch]
fn rocket() -> _ {
    rocket_program::rocket(rocket::Config::figment())
}
