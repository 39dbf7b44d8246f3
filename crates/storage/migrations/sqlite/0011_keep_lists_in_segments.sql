-- Long lists: every row has a position, and each 512 positions in a row are a segment. `amount` is the number of rows in
-- it; `generation` grows with every change of one of them.
create table list_segments (
    kind text not null,
    segment integer not null,
    amount integer not null,
    generation integer not null,
    constraint list_segments__kind primary key (kind, segment)
) strict, without rowid;

alter table users add column position integer not null default 0;

update users set position = numbered.position
from (select id, row_number() over (order by created_at, id) as position from users) as numbered
where numbered.id = users.id;

alter table virtual_keys add column position integer not null default 0;

update virtual_keys set position = numbered.position
from (select id, row_number() over (order by created_at, id) as position from virtual_keys) as numbered
where numbered.id = virtual_keys.id;

-- With the text, so that a search that selects much reads the index only.
create index users_by_position on users (position, search_text);

create index virtual_keys_by_position on virtual_keys (position, search_text);

create index access_profiles_by_text on access_profiles (id, search_text);

drop index users_by_creation;

drop index virtual_keys_by_creation;

insert into list_segments (kind, segment, amount, generation)
select 'users', position / 512, count(*), 1 from users group by position / 512;

insert into list_segments (kind, segment, amount, generation)
select 'virtual_keys', position / 512, count(*), 1 from virtual_keys group by position / 512;

insert into list_segments (kind, segment, amount, generation)
select 'access_profiles', id / 512, count(*), 1 from access_profiles group by id / 512;

delete from totals where kind in ('users', 'virtual_keys', 'access_profiles');
