"""Where a thread is can be asked at any time: no collection may begin while Python keeps its list of threads locked."""

import gc
import sys
import threading

from batchflow.model.stack import top_frame


def test_no_collection_begins_while_the_threads_are_looked_at():
    begun_in = []

    def noted(phase, _):
        if phase == "start":
            begun_in.append(sys._getframe(1).f_code)

    usual = gc.get_threshold()
    gc.callbacks.append(noted)
    gc.set_threshold(1)
    try:
        found = [top_frame(threading.get_ident()) for _ in range(20)]
    finally:
        gc.set_threshold(*usual)
        gc.callbacks.remove(noted)
    assert {frame.f_code.co_name for frame in found} == {"top_frame"}
    assert begun_in, "nothing was collected at all"
    assert top_frame.__code__ not in begun_in
    assert gc.isenabled()


def test_of_a_thread_that_is_not_there_nothing_is_known():
    assert top_frame(0) is None
