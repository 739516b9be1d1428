"""Ed25519 of RFC 8032, section 5.1. This code is slow and not safe for real keys."""

import functools
import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    inverse = pow(1 - product * product, -1, P)
    return ((x1 * y2 + x2 * y1) * (1 - product) * inverse % P, (y1 * y2 + x1 * x2) * (1 + product) * inverse % P)


def times(factor, point):
    result = (0, 1)
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


@functools.cache
def base():
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x & 1 else x, y)


def encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def secret(seed):
    digest = hashlib.sha512(seed).digest()
    return int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254, digest[32:]


@functools.cache
def public(seed):
    return encode(times(secret(seed)[0], base()))


def sign(seed, message):
    scalar, prefix = secret(seed)
    r = number(prefix, message) % ORDER
    point = encode(times(r, base()))
    s = (r + number(point, public(seed), message) * scalar) % ORDER
    return point + s.to_bytes(32, "little")
