"""What the paper prints agrees with itself, except where the course says so."""

from inception_course.studies import paper_tables


def test_the_printed_tables_hold_what_the_paper_says():
    rows = {(row.models, row.crops): row for row in paper_tables.TABLE_3}
    assert all(row.cost == row.models * row.crops for row in paper_tables.TABLE_3)
    base = rows[1, 1].top_5
    wrong = [
        row
        for row in paper_tables.TABLE_3
        if row.against_base is not None and round(row.top_5 - base, 2) != row.against_base
    ]
    assert wrong == [rows[7, 144]]
    assert round(rows[7, 144].top_5 - base, 2) == -3.40
