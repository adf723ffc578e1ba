"""The still life's room: a wall with the window's light, a table, and shadows on it."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from sandbox import noise

SIZE = (1024, 1024)
S = SIZE[0] * 2  # drawn at twice the size, so that edges are smooth
TABLE = int(S * 0.60)


def wall() -> Image.Image:
    """Paint plaster, and the window's panes as light on it."""
    tone = Image.linear_gradient("L").rotate(90).resize((S, S))
    wall = ImageOps.colorize(tone, (206, 188, 166), (104, 96, 98), mid=(164, 148, 136))
    plaster = noise.clouds((S, S), "plaster", (220, 220), 6)
    plaster = plaster.point([128 + (value - 128) // 4 for value in range(256)])
    wall = ImageChops.soft_light(wall, Image.merge("RGB", (plaster,) * 3))
    panes = Image.new("L", (S, S), 0)
    draw = ImageDraw.Draw(panes)
    for column in range(2):
        for line in range(3):
            left, top = 0.36 + column * 0.225, 0.02 + line * 0.205
            corners = ((0, 0), (0.205, 0.05), (0.205, 0.235), (0, 0.185))
            shift = column * 0.055
            draw.polygon([((left + x) * S, (top + shift + y) * S) for x, y in corners], fill=190)
    panes = panes.filter(ImageFilter.GaussianBlur(16))
    leaves = noise.clouds((S // 2, S // 2), "leaves outside", (150, 190), 3).resize((S, S))
    dapple = leaves.point([max(90, min(255, (value - 96) * 5)) for value in range(256)])
    light = ImageChops.multiply(panes, dapple)
    return ImageChops.screen(wall, ImageOps.colorize(light, (0, 0, 0), (150, 118, 72)))


def table(scene: Image.Image) -> Image.Image:
    """Lay the boards of the table, with grain and the window's light."""
    height = S - TABLE
    grain = noise.clouds((S, height * 2), "grain", (900, 26), 6).resize((S, height))
    fine = noise.smooth((S, height), "fibres", (160, 3), 112, 144)
    grain = ImageChops.add(grain, fine, 1, -128)
    wood = ImageOps.colorize(grain, (64, 36, 20), (206, 148, 96), mid=(140, 88, 52))
    draw = ImageDraw.Draw(wood)
    for share in (0.0, 0.16, 0.42, 0.80):
        y = int(height * share)
        draw.line((0, y, S, y), fill=(48, 26, 16), width=4 + int(6 * share))
        draw.line((0, y + 6, S, y + 6), fill=(196, 142, 96), width=2)
    tone = Image.linear_gradient("L").rotate(90).resize((S, height))
    wood = ImageChops.multiply(wood, ImageOps.colorize(tone, (255, 246, 230), (128, 118, 128)))
    beam = Image.new("L", (S, height), 0)
    draw = ImageDraw.Draw(beam)
    for left in (0.02, 0.34):
        corners = ((left, 0.02), (left + 0.26, 0.02), (left + 0.52, 1), (left + 0.16, 1))
        draw.polygon([(x * S, y * height) for x, y in corners], fill=120)
    beam = beam.filter(ImageFilter.GaussianBlur(34))
    wood = ImageChops.screen(wood, ImageOps.colorize(beam, (0, 0, 0), (170, 118, 66)))
    scene.paste(wood, (0, TABLE))
    shadow(scene, (S // 2, TABLE - 6), (S, 20), 90, 16)
    return scene


def shadow(
    scene: Image.Image, middle: tuple[int, int], half: tuple[int, int], strength: int, soft: float
) -> None:
    """Darken an ellipse with a soft edge."""
    x, y = middle
    plane = Image.new("L", scene.size, 0)
    ImageDraw.Draw(plane).ellipse(
        (x - half[0], y - half[1], x + half[0], y + half[1]), fill=strength
    )
    scene.paste((22, 12, 14), mask=plane.filter(ImageFilter.GaussianBlur(soft)))


def stand(
    scene: Image.Image, solid: Image.Image, middle: int, foot: int, length: float = 1.0
) -> None:
    """Put a solid on the table.

    Its shadow falls away from the window, as far as `length` says, and is dark where they touch.
    """
    wide = solid.width / 2
    far = (int(middle + wide * 1.5 * length), int(foot + wide * 0.06))
    shadow(scene, far, (int(wide * 1.7), int(wide * 0.26)), 130, wide * 0.15)
    near = (int(middle + wide * 0.2), int(foot - wide * 0.05))
    shadow(scene, near, (int(wide * 0.86), int(wide * 0.16)), 190, wide * 0.07)
    scene.paste(solid, (int(middle - wide), foot - solid.height), solid)


def vignette(scene: Image.Image) -> Image.Image:
    """Return the scene with darker corners, as a lens gives."""
    corners = Image.radial_gradient("L").resize(scene.size, Image.Resampling.BICUBIC)
    corners = corners.point([max(0, value - 110) // 2 for value in range(256)])
    shade = ImageOps.colorize(corners, (255, 255, 255), (90, 70, 70), mid=None)
    return ImageChops.multiply(scene, shade)
