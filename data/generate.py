#!/usr/bin/env python3
"""Writes the sample project's deliveries: `python3 data/generate.py` rewrites data/day1/*.csv.

The bank, its customers and their accounts are invented. The files have the faults that real deliveries have, in
numbers that never change: the same script writes the same bytes.
"""

import csv
import pathlib
import random
from datetime import date, timedelta

HERE = pathlib.Path(__file__).parent
FIRST = """Ada Ben Carla Daniel Elif Farid Greta Hannah Ivan Jana Karim Lena Mika Nora Oskar Paula Quentin Rosa Samir Tilda
Umut Vera Willem Xenia Yusuf Zoe Amina Bruno Chiara Dmitri""".split()
LAST = """Abel Brandt Costa Dumont Eriksen Fischer Garcia Haas Ito Jansen Kowalski Lopez Meyer Novak Okafor Petrov Quist
Rossi Silva Tanaka Ulrich Varga Weber Xu Yilmaz Zeman""".split()
CITIES = ["Porto", "Ghent", "Turin", "Aarhus", "Graz", "Lyon", "Leeds", "Cork"]
YES, NO, UNKNOWN = ["Yes", "yes", "Y", "YES "], ["No", "no", "N", " no"], ["None", ""]
SPELLINGS = {
    "savings": ["Savings", "savings", "SAVINGS", "Sav", " Savings"],
    "current": ["Current", "current", "CURRENT", "Checking"],
    "deposit": ["Deposit", "Fixed Deposit", "deposit"],
}
TODAY = date(2026, 3, 2)  # the day of the first delivery
CUSTOMERS, ACCOUNTS = 320, 1480


def text_of(day, dice):
    """Most dates are ISO; one branch still writes day/month/year."""
    return day.strftime("%d/%m/%Y") if dice.random() < 0.3 else day.isoformat()


def padded(text, dice):
    return {0: f"  {text}", 1: f"{text}  ", 2: text.replace(" ", "   "), 3: text.upper()}.get(dice.randrange(12), text)


def days_before(day, dice, most):
    return day - timedelta(days=dice.randrange(1, most))


def customers(dice):
    rows = []
    for number in range(1, CUSTOMERS + 1):
        kind = dice.random()
        loan = dice.choice(YES if kind < 0.35 else NO if kind < 0.92 else UNKNOWN)
        joined = days_before(TODAY, dice, 4000)
        updated = joined + timedelta(days=dice.randrange((TODAY - joined).days + 1))
        rows.append([
            f"C{number:04}", padded(f"{dice.choice(FIRST)} {dice.choice(LAST)}", dice), dice.choice(CITIES), loan,
            text_of(days_before(date(2006, 1, 1), dice, 22000), dice), text_of(joined, dice), text_of(updated, dice),
        ])
    for row in dice.sample(rows, 9):  # delivered twice, the older one with another city
        rows.append([*row[:2], dice.choice(CITIES), row[3], row[4], row[5], text_of(date(2014, 1, 1), dice)])
    for row in dice.sample(rows, 4):  # the very same line once more
        rows.append(list(row))
    for row in dice.sample(rows, 5):  # without a key
        rows.append(["", *row[1:]])
    dice.shuffle(rows)
    return ["CustomerId", "Name", "City", "HasLoan", "BirthDate", "JoinedOn", "UpdatedOn"], rows


def accounts(dice):
    rows = []
    for number in range(1, ACCOUNTS + 1):
        kind = dice.choices(list(SPELLINGS), [5, 4, 1])[0]
        owner = f"C{dice.randrange(1, CUSTOMERS + 1):04}"
        balance = round(dice.lognormvariate(7.5, 1.2), 2)
        if kind == "current" and dice.random() < 0.12:
            balance = -round(balance / 8, 2)
        opened = days_before(TODAY, dice, 3500)
        updated = opened + timedelta(days=dice.randrange((TODAY - opened).days + 1))
        rows.append([
            f"A{number:05}", owner, dice.choice(SPELLINGS[kind]), f"{balance:.2f}", text_of(opened, dice), text_of(updated, dice),
        ])
    savings = [row for row in rows if row[2].strip().lower().startswith("sav")]
    for row in dice.sample(savings, 3):  # a savings account can't be overdrawn: a fault of the delivery
        row[3] = f"-{row[3]}"
    for row in dice.sample(rows, 6):  # the owner is missing, or nobody knows them
        row[1] = dice.choice(["", "C9998", "C9999"])
    for row in dice.sample(rows, 4):
        row[3] = ""
    for row in dice.sample(rows, 25):  # delivered twice, with an older balance
        rows.append([*row[:3], "1.00", row[4], text_of(date(2015, 1, 1), dice)])
    for row in dice.sample(rows, 5):  # without a key
        rows.append(["", *row[1:]])
    dice.shuffle(rows)
    return ["AccountId", "CustomerId", "AccountType", "Balance", "OpenedOn", "UpdatedOn"], rows


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])
    print(f"{path.relative_to(HERE.parent).as_posix()}: {len(rows)} rows")


def main():
    write(HERE / "day1" / "customer.csv", *customers(random.Random("customers of day 1")))
    write(HERE / "day1" / "account.csv", *accounts(random.Random("accounts of day 1")))


if __name__ == "__main__":
    main()
