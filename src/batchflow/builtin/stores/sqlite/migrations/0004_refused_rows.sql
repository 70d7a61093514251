-- A part may be about some rows only: those that its sink refused the first time.

ALTER TABLE deliveries ADD COLUMN only BLOB NOT NULL DEFAULT x'';
