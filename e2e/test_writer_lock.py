"""The one process that serves from a PostgreSQL database, when the session that says so is lost."""

import subprocess

import pytest

from tollgate import Gateway

# "tollserv" in ASCII.
LOCK = 0x746F6C6C73657276
END_THE_SESSION = (
    "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and objsubid = 1 "
    f"and classid = {LOCK >> 32} and objid = {LOCK & 0xFFFFFFFF} "
    "and database = (select oid from pg_database where datname = current_database())"
)


# Processes that share a database share what opens its secrets.
MASTER_KEY = {"TOLLGATE_MASTER_KEY": "07" * 32}


@pytest.fixture
def database(postgres, unique):
    return unique, postgres.database(unique)


def test_lock_that_nobody_else_took_is_taken_again(postgres, database, tmp_path):
    name, url = database
    gateway = Gateway(tmp_path / "first", database_url=url, environment=MASTER_KEY).start()
    try:
        ended = subprocess.run(postgres.psql(name, END_THE_SESSION), capture_output=True, text=True, check=True)
        assert ended.stdout == "t\n"
        gateway.wait_for_line("the database's lock is held again")
        second = subprocess.run(
            Gateway(tmp_path / "second", database_url=url).command, env=gateway.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert second.returncode != 0
        assert "another process" in second.stdout + second.stderr
        assert gateway.api.get("/api/governance/users")["total_count"] == 0
    finally:
        assert gateway.stop() == 0


def test_lock_that_somebody_else_took_stops_the_process(postgres, database, tmp_path):
    name, url = database
    gateway = Gateway(tmp_path, database_url=url).start()
    other = subprocess.Popen(postgres.psql(name), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        other.stdin.write(f"{END_THE_SESSION};\nselect pg_advisory_lock({LOCK});\n")
        other.stdin.flush()
        assert gateway.process.wait(60) != 0
        assert "another process serves from this database now; stopping" in gateway.output
    finally:
        other.communicate()
        gateway.stop()
