#!/usr/bin/env python3
"""Each way in which a file is compiled is told once, and what cannot be told is refused."""

import sys
import unittest

sys.path.insert(0, 'checks')
import target_defines  # pylint: disable=wrong-import-position

PLAIN = '''<rule class="cc_library" name="//core/x:x">
<list name="srcs"><label value="//core/x:x.cc"/><label value="@else//y:y.cc"/></list>
<list name="hdrs"><label value="//core/x:x.h"/></list>
<list name="deps"><label value="//core:y"/></list></rule>'''
TEST = '''<rule class="cc_test" name="//core/x:x_test">
<list name="srcs"><label value="//core/x:x.cc"/><label value="//core/x:x_test.cc"/></list>
<list name="local_defines"><string value="POINTS"/><string value="SIZE=1"/></list></rule>'''


def query(*rules):
    return '<query version="2">%s</query>' % ''.join(rules)


class TargetDefinesTest(unittest.TestCase):

    def test_a_file_without_macros_has_one_way(self):
        self.assertEqual(target_defines.ways(query(PLAIN)), [('core/x/x.cc', ()), ('core/x/x.h', ())])

    def test_a_file_of_two_targets_has_the_ways_of_both(self):
        self.assertEqual(target_defines.ways(query(PLAIN, TEST)), [
            ('core/x/x.cc', ()),
            ('core/x/x.cc', ('POINTS', 'SIZE=1')),
            ('core/x/x.h', ()),
            ('core/x/x_test.cc', ('POINTS', 'SIZE=1')),
        ])

    def test_two_targets_that_agree_have_one_way(self):
        self.assertEqual(target_defines.ways(query(PLAIN, PLAIN)), target_defines.ways(query(PLAIN)))

    def test_inherited_macros_are_refused(self):
        with self.assertRaisesRegex(ValueError, '//core/x:x_test has defines'):
            target_defines.ways(query(TEST.replace('local_defines', 'defines')))


if __name__ == '__main__':
    unittest.main()
