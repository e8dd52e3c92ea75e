#!/usr/bin/env python3
"""Writes the sample project's deliveries: `python3 data/generate.py` rewrites data/deliveries/*/*.csv.

The bank, its customers and their accounts are invented. Each delivery is a full extract: what is no longer in it is
gone. The files have the faults that real deliveries have, in numbers that never change: the same script writes the
same bytes.
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
LOAN = {True: ["Yes", "yes", "Y", "YES "], False: ["No", "no", "N", " no"], None: ["None", ""]}
SPELLINGS = {
    "savings": ["Savings", "savings", "SAVINGS", "Sav", " Savings"],
    "current": ["Current", "current", "CURRENT", "Checking"],
    "deposit": ["Deposit", "Fixed Deposit", "deposit"],
}
DAY_1, DAY_2 = date(2025, 6, 2), date(2025, 6, 3)
CUSTOMERS, ACCOUNTS = 520, 2380
CUSTOMER_HEADER = ["CustomerId", "Name", "City", "HasLoan", "BirthDate", "JoinedOn", "UpdatedOn"]
ACCOUNT_HEADER = ["AccountId", "CustomerId", "AccountType", "Balance", "OpenedOn", "UpdatedOn"]


# What the bank knows.


def days_before(day, dice, most):
    return day - timedelta(days=dice.randrange(1, most))


def customer(number, day, dice):
    kind = dice.random()
    joined = days_before(day, dice, 4000)
    return {
        "id": f"C{number:04}",
        "name": f"{dice.choice(FIRST)} {dice.choice(LAST)}",
        "city": dice.choice(CITIES),
        "loan": True if kind < 0.35 else False if kind < 0.92 else None,
        "born": days_before(date(2006, 1, 1), dice, 22000),
        "joined": joined,
        "updated": joined + timedelta(days=dice.randrange((day - joined).days + 1)),
    }


def account(number, owners, day, dice):
    kind = dice.choices(list(SPELLINGS), [5, 4, 1])[0]
    balance = round(dice.lognormvariate(7.5, 1.2), 2)
    if kind == "current" and dice.random() < 0.12:
        balance = -round(balance / 8, 2)
    opened = days_before(day, dice, 3500)
    return {
        "id": f"A{number:05}",
        "owner": dice.choice(owners),
        "type": kind,
        "balance": balance,
        "opened": opened,
        "updated": opened + timedelta(days=dice.randrange((day - opened).days + 1)),
    }


def first_day():
    dice = random.Random("the bank on the first day")
    customers = [customer(number, DAY_1, dice) for number in range(1, CUSTOMERS + 1)]
    owners = [row["id"] for row in customers]
    accounts = [account(number, owners, DAY_1, dice) for number in range(1, ACCOUNTS + 1)]
    savings = [row for row in accounts if row["type"] == "savings"]
    for row in dice.sample(savings, 3):  # a savings account can't be overdrawn: a fault of the delivery
        row["balance"] = -row["balance"]
    for row in dice.sample(accounts, 6):  # the owner is missing, or nobody knows them
        row["owner"] = dice.choice(["", "C9998", "C9999"])
    for row in dice.sample(accounts, 4):
        row["balance"] = None
    return customers, accounts


def second_day(customers, accounts):
    """The same bank a day later: rows that changed, are new, are gone, and come late."""
    dice = random.Random("the bank on the second day")
    gone = {row["id"] for row in dice.sample(customers, 4)}
    customers = [dict(row) for row in customers if row["id"] not in gone]
    accounts = [dict(row) for row in accounts if row["owner"] not in gone]
    closed = {row["id"] for row in dice.sample(accounts, 11)}
    accounts = [row for row in accounts if row["id"] not in closed]

    dice.shuffle(customers)
    for row in customers[:14]:  # moved
        row |= {"city": dice.choice([city for city in CITIES if city != row["city"]]), "updated": DAY_2}
    for row in customers[14:26]:  # got or paid back a loan
        row |= {"loan": not row["loan"], "updated": DAY_2}
    for row in [row for row in customers[26:] if row["updated"] > row["joined"]][:3]:
        row |= {"city": dice.choice(CITIES), "updated": row["joined"]}  # late: the first line instead of the present one
    customers += [customer(CUSTOMERS + number, DAY_2, dice) | {"updated": DAY_2} for number in range(1, 8)]

    dice.shuffle(accounts)
    for row in accounts[:110]:  # paid in or out
        row |= {"balance": round((row["balance"] or 100) * dice.uniform(0.6, 1.4), 2), "updated": DAY_2}
    savings = [row for row in accounts[110:] if row["type"] == "savings" and row["updated"] > row["opened"]]
    for row in savings[:5]:  # turned into another type of account
        row |= {"type": "current", "updated": DAY_2}
    for row in savings[5:11]:  # late, as above
        row |= {"balance": 1.0, "updated": row["opened"]}
    owners = [row["id"] for row in customers]
    new = [account(ACCOUNTS + number, owners, DAY_2, dice) for number in range(1, 27)]
    for row in new[:22]:  # the other four are late: they existed before the first delivery
        row |= {"opened": DAY_2, "updated": DAY_2}
    return customers, accounts + new


# How the bank writes it down.


def text_of(day, dice):
    """Most dates are ISO; one branch still writes day/month/year."""
    return day.strftime("%d/%m/%Y") if dice.random() < 0.3 else day.isoformat()


def padded(text, dice):
    return {0: f"  {text}", 1: f"{text}  ", 2: text.replace(" ", "   "), 3: text.upper()}.get(dice.randrange(12), text)


def customer_lines(customers, dice):
    lines = [
        [
            row["id"], padded(row["name"], dice), row["city"], dice.choice(LOAN[row["loan"]]),
            text_of(row["born"], dice), text_of(row["joined"], dice), text_of(row["updated"], dice),
        ]
        for row in customers
    ]
    for line in dice.sample(lines, 12):  # delivered twice, the older one with another city
        lines.append([*line[:2], dice.choice(CITIES), line[3], line[4], line[5], text_of(date(2013, 1, 1), dice)])
    for line in dice.sample(lines, 4):  # the very same line once more
        lines.append(list(line))
    for line in dice.sample(lines, 5):  # without a key
        lines.append(["", *line[1:]])
    dice.shuffle(lines)
    return lines


def account_lines(accounts, dice):
    lines = [
        [
            row["id"], row["owner"], dice.choice(SPELLINGS[row["type"]]),
            "" if row["balance"] is None else f"{row['balance']:.2f}",
            text_of(row["opened"], dice), text_of(row["updated"], dice),
        ]
        for row in accounts
    ]
    for line in dice.sample(lines, 30):  # delivered twice, with an older balance
        lines.append([*line[:3], "1.00", line[4], text_of(date(2013, 1, 1), dice)])
    for line in dice.sample(lines, 5):  # without a key
        lines.append(["", *line[1:]])
    dice.shuffle(lines)
    return lines


def write(path, header, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *lines])
    print(f"{path.relative_to(HERE.parent).as_posix()}: {len(lines)} rows")


def deliver(day, customers, accounts):
    folder = HERE / "deliveries" / day.isoformat()
    write(folder / "customer.csv", CUSTOMER_HEADER, customer_lines(customers, random.Random(f"customers of {day}")))
    write(folder / "account.csv", ACCOUNT_HEADER, account_lines(accounts, random.Random(f"accounts of {day}")))


def main():
    bank = first_day()
    deliver(DAY_1, *bank)
    deliver(DAY_2, *second_day(*bank))


if __name__ == "__main__":
    main()
