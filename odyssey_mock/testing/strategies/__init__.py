"""Hypothesis strategies for tests of software that uses Odyssey. They require the extra `sim`."""

from odyssey_mock.testing.strategies.broken_image import IMAGE_RULES, BrokenImage, broken_images
from odyssey_mock.testing.strategies.broken_script import SCRIPT_RULES, BrokenScript, broken_scripts
from odyssey_mock.testing.strategies.clock import ClockJump, clock_jump_lists, clock_jumps
from odyssey_mock.testing.strategies.fault import fault_lists, faults
from odyssey_mock.testing.strategies.handlers import (
    OFFERED,
    HandlerCall,
    HandlerFailedError,
    HandlerSet,
    HandlerShape,
    handler_sets,
)
from odyssey_mock.testing.strategies.image import IMAGE_FORMATS, IMAGE_KINDS, image_urls, images
from odyssey_mock.testing.strategies.job import JobHistory, JobStep, job_histories
from odyssey_mock.testing.strategies.prompt import TRIALS, prompts
from odyssey_mock.testing.strategies.script import script_entries, scripts

__all__ = [
    "IMAGE_FORMATS",
    "IMAGE_KINDS",
    "IMAGE_RULES",
    "OFFERED",
    "SCRIPT_RULES",
    "TRIALS",
    "BrokenImage",
    "BrokenScript",
    "ClockJump",
    "HandlerCall",
    "HandlerFailedError",
    "HandlerSet",
    "HandlerShape",
    "JobHistory",
    "JobStep",
    "broken_images",
    "broken_scripts",
    "clock_jump_lists",
    "clock_jumps",
    "fault_lists",
    "faults",
    "handler_sets",
    "image_urls",
    "images",
    "job_histories",
    "prompts",
    "script_entries",
    "scripts",
]
