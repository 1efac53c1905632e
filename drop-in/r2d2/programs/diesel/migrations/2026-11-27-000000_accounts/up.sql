CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    owner VARCHAR(100) NOT NULL,
    balance BIGINT NOT NULL
);
