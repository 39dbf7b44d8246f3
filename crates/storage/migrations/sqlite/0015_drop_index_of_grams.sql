-- What the index of pieces has of a row is known from the row's own text, so nothing asks for it by the row any more. This
-- index was half of what a change of a name wrote.
drop index search_grams_by_entity;
