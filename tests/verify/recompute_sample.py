#!/usr/bin/env python3
"""Computes the sample project's snapshots, intermediate models and marts once more in plain Python, from the delivered
CSV files alone, and compares them row by row with the Delta tables as the PyPI package `deltalake` reads them.

    recompute_sample.py WAREHOUSE [--until 2025-06-03] [--exports exports]

`--until` is the newest delivery that the warehouse took in, by default the first. Nothing of the project's SQL is used.
Ends with 1 if anything differs.
"""

import argparse
import csv
import datetime
import decimal
import pathlib
import re
import sys

from deltalake import DeltaTable

ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = {"sav": "savings", "savings": "savings", "current": "current", "checking": "current", "deposit": "deposit", "fixed deposit": "deposit"}
FLAGS = {"yes": True, "y": True, "no": False, "n": False}
ENDED = "ended with its delivery"


def day(text):
    text = text.strip()
    if not text:
        return None
    return datetime.datetime.strptime(text, "%d/%m/%Y" if "/" in text else "%Y-%m-%d").date()


def name(text):
    return re.sub(r"\s+", " ", text).strip().title()


def customer(line):
    return {
        "customer_id": line["CustomerId"].strip(), "customer_name": name(line["Name"]), "city_name": line["City"].strip(),
        "has_loan_flag": FLAGS.get(line["HasLoan"].strip().lower()), "birth_date": day(line["BirthDate"]),
        "joined_date": day(line["JoinedOn"]), "updated_date": day(line["UpdatedOn"]),
    }


def account(line):
    return {
        "account_id": line["AccountId"].strip(), "customer_id": line["CustomerId"].strip() or None,
        "account_type": TYPES[line["AccountType"].strip().lower()],
        "balance_amount": decimal.Decimal(line["Balance"]) if line["Balance"] else None,
        "opened_date": day(line["OpenedOn"]), "updated_date": day(line["UpdatedOn"]),
    }


def latest(path, clean, key):
    """The latest line of each key in one file."""
    rows = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for row in map(clean, csv.DictReader(lines)):
            if row[key] and (row[key] not in rows or row["updated_date"] > rows[row[key]]["updated_date"]):
                rows[row[key]] = row
    return rows


def versions(deliveries, key):
    """Every version of every key: the row, since when, until when."""
    history = {}
    for delivered in deliveries:
        for gone in history.keys() - delivered.keys():
            if history[gone][-1][2] is None:
                history[gone][-1][2] = ENDED
        for value, row in delivered.items():
            known = history.setdefault(value, [])
            if not known:
                known.append([row, row["updated_date"], None])
            elif row["updated_date"] > known[-1][0]["updated_date"]:
                known[-1][2] = row["updated_date"]
                known.append([row, row["updated_date"], None])
    return history


def current(history):
    return {key: known[-1][0] for key, known in history.items() if known[-1][2] is None}


def expected(folders):
    """Rows by table, each a tuple of values."""
    customer_history = versions([latest(folder / "customer.csv", customer, "customer_id") for folder in folders], "customer_id")
    account_history = versions([latest(folder / "account.csv", account, "account_id") for folder in folders], "account_id")
    customers, accounts = current(customer_history), current(account_history)
    zero = decimal.Decimal(0)
    joined, savings, profiles, summary = [], [], [], []
    for row in accounts.values():
        owner = customers.get(row["customer_id"], {})
        overdrawn = row["balance_amount"] is not None and row["balance_amount"] < 0
        joined.append((
            row["account_id"], row["account_type"], row["balance_amount"], overdrawn, row["opened_date"],
            *(owner.get(field) for field in ("customer_id", "customer_name", "city_name", "has_loan_flag")),
        ))
        if row["account_type"] == "savings":
            savings.append((row["account_id"], row["customer_id"], row["balance_amount"], row["opened_date"], row["updated_date"]))
    for row in customers.values():
        own = [other for other in accounts.values() if other["customer_id"] == row["customer_id"]]
        profiles.append((
            row["customer_id"], row["customer_name"], row["city_name"], row["has_loan_flag"], row["joined_date"], len(own),
            sum((other["balance_amount"] or zero for other in own), zero),
            sum((other["balance_amount"] or zero for other in own if other["account_type"] == "savings"), zero),
        ))
    for kind in sorted({row[1] for row in joined}):
        own = [row for row in joined if row[1] == kind]
        owners = {row[5] for row in own} - {None}
        summary.append((kind, len(own), len(owners), sum(row[3] for row in own), sum((row[2] or zero for row in own), zero)))
    return {
        "snap_customer": [(*row.values(), since, until) for known in customer_history.values() for row, since, until in known],
        "snap_account": [(*row.values(), since, until) for known in account_history.values() for row, since, until in known],
        "int_account_with_customer": joined,
        "int_savings_account_only": savings,
        "account_summary": summary,
        "customer_profile": profiles,
    }


def found(path, table):
    """The rows of a Delta table in the order of its columns; of a snapshot without what only Alluvium knows."""
    read = DeltaTable(str(path / table)).to_pyarrow_table()
    if not table.startswith("snap_"):
        return [tuple(row.values()) for row in read.to_pylist()]
    rows = []
    for row in read.to_pylist():
        since, until = row.pop("dbt_valid_from"), row.pop("dbt_valid_to")
        del row["dbt_scd_id"], row["dbt_updated_at"]
        rows.append((row, since, until))
    begins = {(next(iter(row.values())), since) for row, since, _ in rows}
    # The end of a row that is gone is the day of the run; every other version ends where the next begins.
    return [
        (*row.values(), since, until if until is None or (next(iter(row.values())), until) in begins else ENDED)
        for row, since, until in rows
    ]


def differs(title, wanted, seen):
    missing, extra = set(wanted) - set(seen), set(seen) - set(wanted)
    good = not missing and not extra and len(wanted) == len(seen)
    print(f"{title}: {len(seen)} rows {'agree' if good else 'DIFFER'}")
    for side, rows in (("expected", missing), ("found", extra)):
        for row in sorted(map(str, rows))[:3]:
            print(f"  {side} {row}")
    return not good


def exported(folder):
    import pyarrow.parquet

    with (folder / "account_summary.csv").open(newline="", encoding="utf-8") as lines:
        summary = [
            (row["account_type"], *(int(row[field]) for field in ("account_count", "customer_count", "overdrawn_account_count")),
             decimal.Decimal(row["balance_amount"]))
            for row in csv.DictReader(lines)
        ]
    profiles = pyarrow.parquet.read_table(folder / "customer_profile.parquet").to_pylist()
    return {"account_summary": summary, "customer_profile": [tuple(row.values()) for row in profiles]}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("warehouse", type=pathlib.Path)
    arguments.add_argument("--schema", default="bank")
    arguments.add_argument("--until", default="2025-06-02")
    arguments.add_argument("--exports", type=pathlib.Path, help="compare the exported files too")
    options = arguments.parse_args()
    folders = [folder for folder in sorted((ROOT / "data" / "deliveries").iterdir()) if folder.name <= options.until]
    wanted = expected(folders)
    wrong = [differs(table, rows, found(options.warehouse / options.schema, table)) for table, rows in wanted.items()]
    if options.exports:
        wrong += [differs(f"exported {table}", wanted[table], rows) for table, rows in exported(options.exports).items()]
    sys.exit(any(wrong))


if __name__ == "__main__":
    main()
