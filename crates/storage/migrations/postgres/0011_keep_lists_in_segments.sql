-- Long lists: every row has a position, and each 512 positions in a row are a segment. `amount` is the number of rows in
-- it; `generation` grows with every change of one of them.
create table list_segments (
    kind text not null,
    segment bigint not null,
    amount bigint not null,
    generation bigint not null,
    constraint list_segments__kind primary key (kind, segment)
);

alter table users add column position bigint not null default 0;

update users set position = numbered.position
from (select id, row_number() over (order by created_at, id) as position from users) as numbered
where numbered.id = users.id;

alter table virtual_keys add column position bigint not null default 0;

update virtual_keys set position = numbered.position
from (select id, row_number() over (order by created_at, id) as position from virtual_keys) as numbered
where numbered.id = virtual_keys.id;

create unique index users_by_position on users (position);

create unique index virtual_keys_by_position on virtual_keys (position);

drop index users_by_creation;

drop index virtual_keys_by_creation;

insert into list_segments (kind, segment, amount, generation)
select 'users', position / 512, count(*), 1 from users group by position / 512;

insert into list_segments (kind, segment, amount, generation)
select 'virtual_keys', position / 512, count(*), 1 from virtual_keys group by position / 512;

insert into list_segments (kind, segment, amount, generation)
select 'access_profiles', id / 512, count(*), 1 from access_profiles group by id / 512;

delete from totals where kind in ('users', 'virtual_keys', 'access_profiles');
