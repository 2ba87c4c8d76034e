"""The bar chart: for each rate, a group of bars, ours and the peers', on a logarithmic scale."""

import math
from xml.sax.saxutils import escape

import compare_rows

COLOURS = {'ours': '#1f6feb', 'tbb': '#f0883e', 'caf': '#3fb950', 'ray': '#a371f7', 'cluster': '#8b949e',
           'plasma': '#f0883e'}
LEFT, RIGHT, BAR, GAP, TOP = 230, 110, 13, 14, 56
WIDTH = 860


def _groups(all_judged):
    """Rows of calls a second that have a peer: (name, [(program, rate)]). One group for each of our measurements."""
    groups = {}
    for judged in all_judged:
        if judged.row.unit != '/s' or not judged.row.peers or not judged.ours:
            continue
        name, bars = groups.setdefault(judged.row.ours, (judged.row.name, {}))
        bars['ours'] = judged.ours
        for peer, value in judged.peers.items():
            if value and peer not in bars:
                bars[peer] = value
    return [(name, list(bars.items())) for name, bars in groups.values()]


def svg(all_judged, caption, peers=compare_rows.PEERS):
    groups = _groups(all_judged)
    rates = [rate for _, bars in groups for _, rate in bars]
    low = 10**math.floor(math.log10(min(rates, default=1)))
    high = 10**math.ceil(math.log10(max(rates, default=10)))
    if high <= low:
        high = 10 * low
    span = WIDTH - LEFT - RIGHT

    def place(rate):
        return LEFT + span * (math.log10(rate / low) / math.log10(high / low))

    height = TOP + sum(len(bars) * BAR + GAP for _, bars in groups) + 34
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
        'font-family="sans-serif" font-size="11">' % (WIDTH, height, WIDTH, height),
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<text x="12" y="18" font-size="14">Calls a second, logarithmic: longer is faster</text>',
    ]
    x = 12
    for program, label in [('ours', 'this runtime')] + list(peers.items()):
        colour = COLOURS[program]
        out.append('<rect x="%d" y="28" width="10" height="10" fill="%s"/><text x="%d" y="37">%s</text>' %
                   (x, colour, x + 14, escape(label)))
        x += 34 + 7 * len(label)
    decade = low
    while decade <= high:
        out.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#d0d7de"/>' %
                   (place(decade), place(decade), TOP - 8, height - 34))
        out.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' %
                   (place(decade), height - 22, compare_rows.number(decade)))
        decade *= 10
    y = TOP
    for name, bars in groups:
        out.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>' %
                   (LEFT - 8, y + len(bars) * BAR / 2 + 4, escape(name)))
        for program, rate in bars:
            out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' %
                       (LEFT, y, max(place(rate) - LEFT, 1), BAR - 2, COLOURS[program]))
            out.append('<text x="%.1f" y="%d">%s</text>' %
                       (max(place(rate), LEFT) + 4, y + BAR - 4, compare_rows.number(rate)))
            y += BAR
        y += GAP
    out.append('<text x="12" y="%d" fill="#57606a">%s</text>' % (height - 6, escape(caption)))
    out.append('</svg>')
    return '\n'.join(out) + '\n'
