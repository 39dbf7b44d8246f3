"""A private PostgreSQL: own directory, a socket and port of its own, gone afterwards."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile


def program(name):
    found = shutil.which(name)
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    assert found or versions, f"`{name}` is missing; install PostgreSQL's server"
    return str(versions[-1] if versions else found)


def _as_ordinary_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("no ordinary user to run PostgreSQL as")


class Postgres:
    def __enter__(self):
        who = _as_ordinary_user()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-pg-"))
        if who:
            os.chown(self.directory, who["user"], who["group"])
        data = self.directory / "data"
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LC_ALL": "C.UTF-8"}
        common = {"cwd": self.directory, "env": environment, "stdin": subprocess.DEVNULL, **who}
        subprocess.run(
            [program("initdb"), "-D", str(data), "-U", "tollgate", "--auth=trust", "--no-sync", "-E", "UTF8"],
            check=True, stdout=subprocess.DEVNULL, **common,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        log = open(self.directory / "log", "wb")
        self.server = subprocess.Popen(
            [program("postgres"), "-D", str(data), "-p", str(self.port), "-h", "127.0.0.1",
             "-k", str(self.directory), "-c", "fsync=off", "-c", "max_connections=100"],
            stdout=log, stderr=log, **common,
        )
        log.close()
        self._psql("select 1", retries=200)
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def psql(self, database, *statements):
        """The command line that runs the statements in one session."""
        command = [program("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "tollgate", "-d", database,
                   "-v", "ON_ERROR_STOP=1", "-qAt"]
        return command + [argument for statement in statements for argument in ("-c", statement)]

    def _psql(self, statement, retries=1):
        command = self.psql("postgres", statement)
        for _ in range(retries):
            outcome = subprocess.run(command, capture_output=True, text=True)
            if outcome.returncode == 0:
                return outcome.stdout
            assert self.server.poll() is None, (self.directory / "log").read_text()
            try:
                self.server.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
        raise AssertionError(outcome.stderr)

    def database(self, name):
        """A fresh database; returns its URL."""
        self._psql(f'create database "{name}"')
        return f"postgres://tollgate@127.0.0.1:{self.port}/{name}"
