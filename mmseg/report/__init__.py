from .collecting import ReportMetric
from .page_of_test import write_test_report

__all__ = ['ReportMetric', 'write_test_report']
