from varprop._core.layer cimport Plan


cdef class PlanHolder:
    cdef Plan plan
    cdef object arrays      # keeps alive what the plan points to
    cdef object callback
    cdef object log_value
    cdef public object error
