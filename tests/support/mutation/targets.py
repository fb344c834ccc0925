"""The modules of the mutation campaigns, each with the tests that belong to it."""

from tests.support.mutation.campaign import Target

TARGETS = (
    # State machines.
    Target(
        "odyssey_client/connection/connection_machine.py",
        ["tests/client/connection/test_connection_machine.py"],
        is_pure=True,
    ),
    Target(
        "odyssey_client/connection/operation_machine.py",
        ["tests/client/connection/test_operation_machine.py"],
        is_pure=True,
    ),
    Target(
        "odyssey_client/spectator/spectator_machine.py",
        ["tests/client/spectator/test_spectator_machine.py"],
        is_pure=True,
    ),
    Target("odyssey_mock/core/state_machine.py", ["tests/mock/sessions/test_stream_machine.py"], is_pure=True),
    Target("odyssey_mock/sessions/session_machine.py", ["tests/mock/sessions/test_session_machine.py"], is_pure=True),
    Target("odyssey_mock/sessions/stream_machine.py", ["tests/mock/sessions/test_stream_machine.py"], is_pure=True),
    Target("odyssey_mock/simulations/job_machine.py", ["tests/mock/simulations/test_job_machine.py"], is_pure=True),
    # Rules of scripts and settings.
    Target("odyssey_client/scripts/rules.py", ["tests/client/scripts/test_rules.py"], is_pure=True),
    Target(
        "odyssey_mock/simulations/scripts.py",
        ["tests/mock/simulations/test_scripts.py", "tests/mock/simulations/test_script_faults.py"],
        is_pure=True,
    ),
    Target("odyssey_mock/setting_rules.py", ["tests/mock/test_setting_rules.py"], is_pure=True),
    # Redaction.
    Target("odyssey_client/redaction.py", ["tests/client/test_redaction.py"], is_pure=True),
    Target("odyssey_mock/core/redaction.py", ["tests/mock/core/test_redaction.py"], is_pure=True),
    # Limits.
    Target("odyssey_client/received_json.py", ["tests/client/test_received_json.py"], is_pure=True),
    Target("odyssey_client/rest/response_body.py", ["tests/client/rest/test_response_body.py"]),
    Target("odyssey_client/rest/regions.py", ["tests/client/rest/test_regions.py"]),
    Target("odyssey_client/rtc/remote_sdp.py", ["tests/client/rtc/test_remote_sdp.py"], is_pure=True),
    Target("odyssey_client/media/image_source.py", ["tests/client/media/test_image_source.py"], is_pure=True),
    Target("odyssey_mock/core/strict_json.py", ["tests/mock/core/test_strict_json.py"], is_pure=True),
    Target("odyssey_mock/core/bounded_queue.py", ["tests/mock/core/test_bounded_queue.py"], is_pure=True),
    Target("odyssey_mock/core/telemetry_store.py", ["tests/mock/core/test_telemetry_store.py"], is_pure=True),
    Target("odyssey_mock/http/request_body.py", ["tests/mock/http/test_request_body.py"]),
    Target("odyssey_mock/rtc/remote_description.py", ["tests/mock/rtc/test_remote_description.py"], is_pure=True),
    Target(
        "odyssey_mock/media/picture.py",
        ["tests/mock/media/test_picture.py", "tests/mock/media/test_picture_metadata.py"],
        is_pure=True,
    ),
)
"""Every module that `scripts/mutation.py` knows."""
