"""Rooms of finite width; `varprop.theory.finite_width` is their lobby."""
