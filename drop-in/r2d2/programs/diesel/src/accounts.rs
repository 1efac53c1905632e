//! The program's work on accounts, written once for all backends: with Diesel's types a macro is the most readable way.

use diesel::prelude::*;

diesel::table! {
    accounts (id) {
        id -> Integer,
        owner -> Text,
        balance -> BigInt,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Identifiable, Insertable, AsChangeset)]
pub(crate) struct Account {
    pub(crate) id: i32,
    pub(crate) owner: String,
    pub(crate) balance: i64,
}

impl Account {
    pub(crate) fn new(id: i32, owner: &str, balance: i64) -> Self {
        Self { id, owner: owner.to_owned(), balance }
    }
}

/// Defines `run` for the connections of one backend.
macro_rules! program {
    ($connection:ty) => {
        use crate::accounts::{Account, accounts};
        use crate::{Done, Task};
        use diesel::prelude::*;
        use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection, TestCustomizer};
        use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::thread;
        use std::time::{Duration, Instant};

        type Conn = PooledConnection<ConnectionManager<$connection>>;

        const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

        /// Counts the connections that are opened.
        #[derive(Debug)]
        struct Counting;

        static OPENED: AtomicUsize = AtomicUsize::new(0);

        impl CustomizeConnection<$connection, diesel::r2d2::Error> for Counting {
            fn on_acquire(&self, conn: &mut $connection) -> Result<(), diesel::r2d2::Error> {
                set_up(conn).map_err(diesel::r2d2::Error::QueryError)?;
                OPENED.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }

        pub(crate) fn run(url: &str, task: Task) -> Done {
            let manager = || ConnectionManager::<$connection>::new(url);
            let pool = Pool::builder()
                .max_size(4)
                .min_idle(Some(1))
                .connection_customizer(Box::new(Counting))
                .build(manager())?;
            match task {
                Task::All => {
                    migrate(&mut pool.get()?)?;
                    write_and_read(&mut pool.get()?)?;
                    copy(&mut pool.get()?)?;
                    transfer(&mut pool.get()?)?;
                    by_many(&pool)?;
                    let test = Pool::builder().max_size(1).connection_customizer(Box::new(TestCustomizer));
                    undone(&test.build(manager())?)?;
                    println!("left behind: {} accounts", accounts::table.count().get_result::<i64>(&mut pool.get()?)?);
                    println!("opened: between 1 and 4: {}", (1..=4).contains(&OPENED.load(Ordering::Relaxed)));
                }
                Task::Loops { threads, seconds } => look_up(url, threads, Duration::from_secs(seconds))?,
                Task::TimeOut => {
                    let small =
                        Pool::builder().max_size(1).connection_timeout(Duration::from_millis(200)).build(manager())?;
                    let _held = small.get()?;
                    println!("{}", small.get().err().ok_or("there was one more")?);
                }
            }
            Ok(())
        }

        fn migrate(conn: &mut Conn) -> Done {
            conn.revert_all_migrations(MIGRATIONS)?;
            let migrations = conn.run_pending_migrations(MIGRATIONS)?;
            println!("migrations: {}", migrations.len());
            Ok(())
        }

        fn write_and_read(conn: &mut Conn) -> Done {
            let new = [Account::new(1, "Ada", 100), Account::new(2, "Ben", 50)];
            let inserted = diesel::insert_into(accounts::table).values(&new[..]).execute(conn)?;
            let richest: Account =
                accounts::table.order(accounts::balance.desc()).select(Account::as_select()).first(conn)?;
            let mut ben: Account = accounts::table.find(2).select(Account::as_select()).first(conn)?;
            ben.balance += 5;
            let saved: Account = ben.save_changes(conn)?;
            println!("inserted: {inserted}, the richest: {}, saved: {}", richest.owner, saved.balance);
            Ok(())
        }

        /// A transfer that succeeds, one that is rolled back, and one of which only the nested part is rolled back.
        fn transfer(conn: &mut Conn) -> Done {
            let give = |conn: &mut Conn, id: i32, by: i64| {
                diesel::update(accounts::table.find(id)).set(accounts::balance.eq(accounts::balance + by)).execute(conn)
            };
            conn.transaction(|conn| {
                give(conn, 1, -30)?;
                give(conn, 2, 30)
            })?;
            let failed = conn.transaction(|conn| {
                give(conn, 1, -1000)?;
                Err::<(), _>(diesel::result::Error::RollbackTransaction)
            });
            conn.transaction(|conn| {
                give(conn, 1, 1)?;
                let nested = conn.transaction(|conn| {
                    give(conn, 1, -500)?;
                    Err::<(), _>(diesel::result::Error::RollbackTransaction)
                });
                assert!(nested.is_err());
                give(conn, 2, 1)
            })?;
            let balances = accounts::table.order(accounts::id).limit(2).select(accounts::balance).load::<i64>(conn)?;
            println!("rolled back: {}, balances: {balances:?}", failed.is_err());
            Ok(())
        }

        fn by_many(pool: &Pool<ConnectionManager<$connection>>) -> Done {
            let threads: Vec<_> = (0..16)
                .map(|number| {
                    let pool = pool.clone();
                    thread::spawn(move || -> Result<i64, Box<dyn std::error::Error + Send + Sync>> {
                        let mut sum = 0;
                        for _ in 0..20 {
                            let mut conn = pool.get()?;
                            sum += accounts::table
                                .find(1 + number % 2)
                                .select(accounts::balance)
                                .first::<i64>(&mut conn)?;
                        }
                        Ok(sum)
                    })
                })
                .collect();
            let mut sum = 0;
            for thread in threads {
                sum += thread.join().map_err(|_| "a thread panicked")??;
            }
            println!("16 threads read: {sum}");
            Ok(())
        }

        /// Everything done on a pool for tests is rolled back.
        fn undone(pool: &Pool<ConnectionManager<$connection>>) -> Done {
            diesel::delete(accounts::table).execute(&mut pool.get()?)?;
            let seen = accounts::table.count().get_result::<i64>(&mut pool.get()?)?;
            println!("in the test transaction: {seen} accounts");
            Ok(())
        }

        /// Loans with queries, on the smallest pool that serves all threads, and the same queries on connections without a pool.
        fn look_up(url: &str, threads: usize, span: Duration) -> Done {
            let pool = Pool::builder().max_size(8).build(ConnectionManager::<$connection>::new(url))?;
            let query = |conn: &mut $connection| {
                diesel::select(1_i32.into_sql::<diesel::sql_types::Integer>()).get_result::<i32>(conn)
            };
            let count = |work: &(dyn Fn() -> Done + Sync)| -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
                let begun = Instant::now();
                let counts: Result<Vec<u64>, _> = thread::scope(|scope| {
                    let all: Vec<_> = (0..threads)
                        .map(|_| {
                            scope.spawn(|| -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
                                let mut done = 0;
                                while begun.elapsed() < span {
                                    work()?;
                                    done += 1;
                                }
                                Ok(done)
                            })
                        })
                        .collect();
                    all.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
                });
                Ok(counts?.iter().sum::<u64>() as f64 / begun.elapsed().as_secs_f64())
            };
            println!("{:.0}", count(&|| Ok(query(&mut *pool.get()?).map(drop)?))?);
            Ok(())
        }
    };
}

pub(crate) use program;
