"""Knows how a password is asked for and hashed; it is never an argument, because every user sees those."""

import getpass
import sys

from passlib.hash import sha512_crypt

from generator.errors import UsageError


def hash_password(password: str) -> str:
    """A crypt(5) hash of method SHA-512, which every release of the matrix knows; the salt is fresh."""
    return str(sha512_crypt.hash(password))


def ask_password() -> str:
    """From the terminal, twice and unseen; else the first line of standard input."""
    if not sys.stdin.isatty():
        return _usable(sys.stdin.readline().rstrip("\n"))
    password = _usable(getpass.getpass("Password: "))
    if getpass.getpass("Again: ") != password:
        raise UsageError.because("the two passwords differ", hint="try again")
    return password


def _usable(password: str) -> str:
    if not password or not password.isprintable():
        raise UsageError.because("a password is one line of printable characters")
    return password
