use tollgate_storage::{Engine, StorageError, Vault, settings};

use crate::fixture::{Fixture, at, connect, in_tx, on_both_engines};

on_both_engines! {
    async fn a_new_database_answers_and_opens_again(fixture: &Fixture) {
        fixture.store.ping().await.unwrap();
        let again = connect(fixture.db.url(), 7).await.unwrap();
        assert_eq!(again.engine(), fixture.store.engine());
        again.close().await;
    }

    async fn another_master_key_is_refused(fixture: &Fixture) {
        let error = connect(fixture.db.url(), 8).await.unwrap_err();
        assert!(matches!(error, StorageError::Sealed), "{error:?}");
    }

    async fn an_older_master_key_opens(fixture: &Fixture) {
        let vault = Vault::new(&[8; 32]).unwrap().with_older(&[7; 32]).unwrap();
        let store = tollgate_storage::Store::connect(fixture.db.url(), vault.into(), at(0))
            .await
            .unwrap();
        store.close().await;
    }

    async fn settings_are_kept(fixture: &Fixture) {
        let store = &fixture.store;
        assert_eq!(settings::find(store, "colour").await.unwrap(), None);
        for value in ["red", "blue"] {
            let ((), changes) = in_tx!(store, tx => settings::put(&mut tx, "colour", value).await.unwrap());
            assert!(changes.is_empty());
            let found = settings::find(store, "colour").await.unwrap();
            assert_eq!(found.as_deref(), Some(value));
        }
    }

    async fn a_dropped_transaction_changes_nothing(fixture: &Fixture) {
        let store = &fixture.store;
        let mut tx = store.begin().await.unwrap();
        settings::put(&mut tx, "colour", "red").await.unwrap();
        assert!(settings::find(&mut tx, "colour").await.unwrap().is_some());
        assert!(settings::find(store, "colour").await.unwrap().is_none());
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        settings::put(&mut tx, "colour", "blue").await.unwrap();
        tx.rollback().await.unwrap();
        assert!(settings::find(store, "colour").await.unwrap().is_none());
    }

    async fn a_second_server_is_refused_until_the_first_lets_go(fixture: &Fixture) {
        let second = connect(fixture.db.url(), 7).await.unwrap();
        let mut lock = fixture.store.lock().await.unwrap();
        lock.check().await.unwrap();
        let refused = second.lock().await.unwrap_err();
        assert!(matches!(refused, StorageError::Locked), "{refused:?}");
        lock.release().await.unwrap();
        second.lock().await.unwrap().release().await.unwrap();
        second.close().await;
    }
}

#[tokio::test]
async fn addresses_of_other_databases_are_refused_without_their_password() {
    for url in [
        "mysql://u:hunter2@host/db",
        "sqlite:",
        "sqlite::memory:",
        "postgres://u:hunter2@:x:y/",
    ] {
        let error = connect(url, 7).await.unwrap_err();
        assert!(
            matches!(error, StorageError::Address(_)),
            "{url}: {error:?}"
        );
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[tokio::test]
async fn losing_the_session_that_holds_the_lock_is_seen() {
    let fixture = Fixture::postgres().await;
    let mut lock = fixture.store.lock().await.unwrap();
    fixture
        .read_text(
            "select cast(pg_terminate_backend(pid) as text) from pg_locks where locktype = 'advisory' and granted
             and database = (select oid from pg_database where datname = current_database())",
        )
        .await;
    assert!(lock.check().await.is_err());
}

#[tokio::test]
async fn engines_are_told_apart() {
    let sqlite = Fixture::sqlite().await;
    assert_eq!(sqlite.store.engine(), Engine::Sqlite);
    assert_eq!(Engine::Postgres.as_str(), "postgres");
}

#[tokio::test]
async fn a_checkpoint_brings_what_was_written_into_the_file() {
    let fixture = Fixture::sqlite().await;
    let store = &fixture.store;
    in_tx!(store, tx => settings::put(&mut tx, "colour", "red").await.unwrap());
    // The file alone, without its log.
    let in_file = async || {
        let copy = tempfile::NamedTempFile::new().unwrap();
        let path = fixture.db.url().strip_prefix("sqlite:").unwrap();
        std::fs::copy(path, copy.path()).unwrap();
        let copied = connect(&format!("sqlite:{}", copy.path().display()), 7)
            .await
            .unwrap();
        let found = settings::find(&copied, "colour").await.unwrap();
        copied.close().await;
        found
    };
    assert_eq!(in_file().await, None);
    // Somebody who writes does not stand in its way, nor it in theirs.
    let mut tx = store.begin().await.unwrap();
    settings::put(&mut tx, "colour", "blue").await.unwrap();
    store.checkpoint().await.unwrap();
    assert_eq!(in_file().await.as_deref(), Some("red"));
    let _changes = tx.commit().await.unwrap();
    store.checkpoint().await.unwrap();
    assert_eq!(in_file().await.as_deref(), Some("blue"));
    store.close().await;
}

/// Compiled with it, an idle connection keeps the cache of one that works.
#[tokio::test]
async fn connections_share_no_cache() {
    let fixture = Fixture::sqlite().await;
    let shares = "select cast(sqlite_compileoption_used('ENABLE_MEMORY_MANAGEMENT') as text)";
    assert_eq!(
        fixture.read_text(shares).await,
        "0",
        "`LIBSQLITE3_FLAGS` of `.cargo/config.toml` did not reach the build"
    );
    fixture.store.close().await;
}

#[tokio::test]
async fn postgres_needs_no_checkpoint() {
    let fixture = Fixture::postgres().await;
    fixture.store.checkpoint().await.unwrap();
    fixture.store.close().await;
}
