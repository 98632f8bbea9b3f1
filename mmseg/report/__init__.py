from .collecting import ReportMetric
from .page_of_comparison import write_comparison
from .page_of_test import write_test_report
from .page_of_training import write_training_report

__all__ = ['ReportMetric', 'write_comparison', 'write_test_report', 'write_training_report']
