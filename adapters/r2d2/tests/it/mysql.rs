//! r2d2_mysql on MySQL and MariaDB, with and without a cleaner.

use crate::url_of;
use cabrank::{CloseReason, Pool};
use cabrank_r2d2::{R2d2Manager, mysql as clean};
use cabrank_testing::harness::alone;
use cabrank_testing::servers::Engine;
use mysql::prelude::Queryable;
use mysql::{Opts, OptsBuilder};
use r2d2_mysql::MySqlConnectionManager;

fn on_mysql_a_cleaner_leaves_nothing() {
    a_cleaner_leaves_nothing(Engine::Mysql);
}

fn on_mariadb_a_cleaner_leaves_nothing() {
    a_cleaner_leaves_nothing(Engine::Mariadb);
}

fn a_cleaner_leaves_nothing(engine: Engine) {
    let opts = Opts::from_url(&url_of(engine)).unwrap();
    let manager = || MySqlConnectionManager::new(OptsBuilder::from_opts(opts.clone()));
    let left = "SELECT COALESCE(@soiled, 0) + (SELECT COUNT(*) FROM information_schema.innodb_trx \
                WHERE trx_mysql_thread_id = CONNECTION_ID()) + COALESCE(IS_USED_LOCK('soiled') = CONNECTION_ID(), 0)";
    let soils = ["SET @soiled = 7", "BEGIN", "SELECT GET_LOCK('soiled', 0)"];

    let pool = Pool::builder().max_size(1).build(R2d2Manager::new(manager())).unwrap();
    pool.get().unwrap().query_drop(soils[0]).unwrap();
    assert_eq!(pool.get().unwrap().query_first::<u32, _>(left).unwrap(), Some(7), "handed on as it is");

    let manager = R2d2Manager::new(manager()).clean(clean::look, clean::reset);
    let pool = Pool::builder().max_size(1).build(manager).unwrap();
    for soil in soils {
        pool.get().unwrap().query_drop(soil).unwrap();
        assert_eq!(pool.get().unwrap().query_first::<u32, _>(left).unwrap(), Some(0), "{soil}");
    }
    assert_eq!((pool.stats().opened, pool.stats().resets_failed), (1, 0));

    // A session that was killed: the reset finds that.
    let mut conn = pool.get().unwrap();
    let id = conn.connection_id();
    let _ = conn.query_drop(format!("KILL {id}"));
    drop(conn);
    assert_eq!(pool.get().unwrap().query_first::<u32, _>(left).unwrap(), Some(0));
    assert_eq!(pool.stats().closed.by(CloseReason::ResetFailed), 1);
}

cabrank_testing::tests! {
    alone:
        on_mysql_a_cleaner_leaves_nothing,
        on_mariadb_a_cleaner_leaves_nothing,
}
