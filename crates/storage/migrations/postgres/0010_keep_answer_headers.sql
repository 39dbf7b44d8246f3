-- A repeated answer has the headers of the first one too: pairs of name and value, as JSON.
alter table idempotency_keys add column headers text not null default '[]';
