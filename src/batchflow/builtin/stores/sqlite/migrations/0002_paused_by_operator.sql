-- A run that an operator paused is not picked up by whatever calls `run` next.

ALTER TABLE runs ADD COLUMN by_operator INTEGER NOT NULL DEFAULT 0;
