-- Batches that the listing showed when an operator said that a call had made none: they do not speak against that word.

ALTER TABLE intents ADD COLUMN overruled TEXT NOT NULL DEFAULT '[]';
