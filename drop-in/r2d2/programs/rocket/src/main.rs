//! Launches the application, on the database that `Rocket.toml` or `ROCKET_DATABASES` names.

#[rocket::launch]
fn rocket() -> _ {
    rocket_program::rocket(rocket::Config::figment())
}
