"""The small linear system by which the best step of a registration is found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import mul

Vector = tuple[float, float, float, float]  # shift and stretch across, shift and stretch down


def dot(one: Iterable[float], other: Iterable[float]) -> float:
    """Return the sum of the products of two rows of numbers."""
    return float(sum(map(mul, one, other)))


def matrix(
    products: Sequence[Sequence[float]], places: tuple[Sequence[float], Sequence[float]]
) -> list[list[float]]:
    """Return the sums of all products of two parameters' steps, a symmetric matrix.

    `products` are those of the slopes: across twice, of both, down twice.
    """
    weights = [[1.0] * len(places[0]), places[0], [1.0] * len(places[0]), places[1]]
    found = [[0.0] * 4 for _ in range(4)]
    for row in range(4):
        for column in range(row + 1):
            both = products[row // 2 + column // 2]
            total = dot(map(mul, both, weights[row]), weights[column])
            found[row][column] = found[column][row] = total
    return found


def added(matrices: Sequence[list[list[float]]]) -> list[list[float]]:
    """Return the sum of matrices."""
    return [[sum(cell) for cell in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def solved(left: list[list[float]], right: list[float]) -> Vector | None:
    """Return the solution of a symmetric system by Gauss's elimination; None: it has none."""
    rows = [[*row, value] for row, value in zip(left, right, strict=True)]
    scale = [rows[index][index] for index in range(4)]
    for index in range(4):
        pivot = rows[index][index]
        if pivot <= 1e-3 * scale[index] or not pivot > 0:  # this parameter cannot be told
            return None
        rows[index] = [cell / pivot for cell in rows[index]]
        for other in range(4):
            if other != index:
                factor = rows[other][index]
                pairs = zip(rows[other], rows[index], strict=True)
                rows[other] = [cell - factor * part for cell, part in pairs]
    return rows[0][4], rows[1][4], rows[2][4], rows[3][4]
