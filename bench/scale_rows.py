"""Fills a gateway's database with access profiles, users and virtual keys, and its request log."""

import contextlib
import json
import pathlib
import sqlite3
import subprocess

TEAMS = ("atlas", "borealis", "cobalt", "delta", "ember", "fjord", "garnet", "harbor", "indigo", "juniper")
TEMPLATES = ("access_profiles", "access_profile_versions", "users", "virtual_keys")
# The same statements as in the migration that made the table.
COUNT_SEGMENTS = """
delete from list_segments;
insert into list_segments (kind, segment, amount, generation)
    select 'users', position / 512, count(*), 1 from users group by position / 512;
insert into list_segments (kind, segment, amount, generation)
    select 'virtual_keys', position / 512, count(*), 1 from virtual_keys group by position / 512;
insert into list_segments (kind, segment, amount, generation)
    select 'access_profiles', id / 512, count(*), 1 from access_profiles group by id / 512;
"""


def name_of(number):
    """Every row's name has pieces that all rows share, pieces that a tenth shares, and its own number."""
    return f"team {TEAMS[number % len(TEAMS)]} member {number:07}"


def hex_id(prefix, number):
    return f"{prefix}_{number:032x}"


def fill(gateway, database, rows):
    """Lets the gateway write one row of each kind, copies them until there are enough, and returns their ids."""
    api = gateway.api
    profile = api.add_profile(name_of(0), description="for the benchmark", tags=["everybody", "tag0"],
                              provider_configs=[{"provider_name": "sandbox", "all_models_allowed": True}],
                              budgets=[{"max_limit": 10, "reset_duration": "1M"}])
    user = api.post("/api/governance/users", {"name": name_of(0), "email": "m0@example.com"})["user"]
    key = api.post("/api/governance/virtual-keys", {"name": name_of(0)})["virtual_key"]
    stop(gateway)
    database.fill(rows)
    return {
        "profiles": [profile["id"] + number for number in range(rows)],
        "users": [user["id"], *(hex_id("user", number) for number in range(1, rows))],
        "keys": [key["id"], *(hex_id("vk", number) for number in range(1, rows))],
    }


def fill_log(gateway, database, filler, requests):
    """Puts requests into the log of a gateway, which is stopped by this."""
    stop(gateway)
    # The filler folds as if it were a journal; the gateway's own place in its journal is put back.
    place = database.position()
    subprocess.run([filler, database.url, gateway.data_dir / "master.key", str(requests)], check=True)
    database.set_position(place)


def stop(gateway):
    assert gateway.stop() == 0, gateway.output


def copies(template, rows):
    """Rows of every table: `template` has the one that the gateway wrote, as a dictionary."""
    for number in range(1, rows):
        name = name_of(number)
        instant = template["users"]["created_at"] + number
        dates = {"created_at": instant, "updated_at": instant}
        profile = template["access_profiles"]["id"] + number
        tags = ["everybody", f"tag{number % (rows // 10)}"]
        text = f"{name}\nfor the benchmark"
        yield "access_profiles", {**template["access_profiles"], **dates, "id": profile, "name": name,
                                  "name_key": name, "tags": json.dumps(tags), "search_text": text}
        yield "access_profile_versions", {**template["access_profile_versions"],
                                          "id": template["access_profile_versions"]["id"] + number,
                                          "access_profile_id": profile, "name": name, "created_at": instant}
        for tag in tags:
            yield "access_profile_tags", {"tag_key": tag, "access_profile_id": profile}
        yield from grams("access_profiles", str(profile), text)
        email = f"m{number}@example.com"
        yield "users", {**template["users"], **dates, "id": hex_id("user", number), "name": name, "email": email,
                        "email_key": email, "search_text": f"{name}\n{email}", "position": number + 1}
        yield from grams("users", hex_id("user", number), f"{name}\n{email}")
        secret = number.to_bytes(32, "big")
        yield "virtual_keys", {**template["virtual_keys"], **dates, "id": hex_id("vk", number), "name": name,
                               "name_key": name, "secret_hash": secret, "search_text": name, "position": number + 1}
        yield from grams("virtual_keys", hex_id("vk", number), name)


def grams(kind, entity, text):
    for gram in {text[at:at + 3] for at in range(len(text) - 2)}:
        yield "search_grams", (kind, gram, entity)


class Sqlite:
    """The file of a gateway that is not running."""

    def __init__(self, data_dir):
        self.data_dir = pathlib.Path(data_dir)

    @property
    def path(self):
        [path] = self.data_dir.glob("*.db")
        return path

    @property
    def url(self):
        return f"sqlite:{self.path}"

    def fill(self, rows):
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            database.row_factory = sqlite3.Row
            database.execute("pragma cache_size = -400000")
            template = {table: dict(database.execute(f"select * from {table}").fetchone()) for table in TEMPLATES}
            with database:
                for table, columns, batch in batches(copies(template, rows)):
                    marks = ", ".join("?" * len(columns))
                    database.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", batch)
            database.executescript(COUNT_SEGMENTS)

    def position(self):
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            return database.execute("select * from ledger_position").fetchall()

    def set_position(self, rows):
        with contextlib.closing(sqlite3.connect(self.path)) as database, database:
            database.execute("delete from ledger_position")
            for row in rows:
                database.execute(f"insert into ledger_position values ({', '.join('?' * len(row))})", row)


class PostgresDatabase:
    """A database of a private server."""

    def __init__(self, server, name):
        self.url = server.database(name)
        self.psql = server.psql(name)

    def query(self, statement):
        return subprocess.run([*self.psql, "-c", statement], check=True, capture_output=True, text=True).stdout

    def fill(self, rows):
        template = {table: json.loads(self.query(f"select row_to_json(t) from {table} t limit 1"))
                    for table in TEMPLATES}
        with subprocess.Popen(self.psql, stdin=subprocess.PIPE, text=True) as loader:
            for table, columns, batch in batches(copies(template, rows)):
                loader.stdin.write(f"copy {table} ({', '.join(columns)}) from stdin;\n")
                loader.stdin.writelines("\t".join(map(copy_text, row)) + "\n" for row in batch)
                loader.stdin.write("\\.\n")
            loader.stdin.write("select setval(pg_get_serial_sequence(t, 'id'), (select max(id) from access_profiles)"
                               " + 1) from unnest(array['access_profiles', 'access_profile_versions']) t;\n")
            loader.stdin.write(COUNT_SEGMENTS + "vacuum analyze;\n")
            loader.stdin.close()
            assert loader.wait() == 0, "PostgreSQL did not take the rows"

    def position(self):
        return self.query("copy ledger_position to stdout")

    def set_position(self, rows):
        subprocess.run([*self.psql, "-c", "delete from ledger_position", "-c", "copy ledger_position from stdin"],
                       input=rows, check=True, stdout=subprocess.DEVNULL, text=True)
        self.query("vacuum analyze")


def copy_text(value):
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    text = str(value)
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def batches(rows):
    """A table, its columns and some of its rows, in an order that foreign keys allow."""
    columns = {"search_grams": ("kind", "gram", "entity_id")}
    waiting = {table: [] for table in (*TEMPLATES, "access_profile_tags", "search_grams")}

    def flush():
        # In the order of their index.
        waiting["search_grams"].sort()
        for table, batch in waiting.items():
            if batch:
                yield table, columns[table], batch
            waiting[table] = []

    for count, (table, row) in enumerate(rows, 1):
        if isinstance(row, dict):
            columns[table] = tuple(row)
            row = tuple(row.values())
        waiting[table].append(row)
        if count % 1_000_000 == 0:
            yield from flush()
    yield from flush()
