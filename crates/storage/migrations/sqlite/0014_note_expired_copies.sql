-- When the end of a copy has to be told of; empty once it was, and for copies without an end.
alter table user_copies add column expiry_due_at integer;

update user_copies set expiry_due_at = expires_at;

create index user_copies_by_due_expiry on user_copies (expiry_due_at);
