-- What an administrator looks for among amounts in doubt. The columns of rows that are older than this stay empty.
alter table in_doubt add column key_id text;

alter table in_doubt add column user_id text;

alter table in_doubt add column profile_id bigint;

alter table in_doubt add column provider text;

alter table in_doubt add column model text;

alter table in_doubt add column ended_at bigint;

alter table in_doubt add column error_code text;

alter table in_doubt add column resolved_cost bigint;

create index in_doubt_by_time on in_doubt (at, request_id);
