"""The safeguards, one by one: what takes each out, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`text`, which stands once in `file`, becomes `instead`, and one of `tests` must fail."""

    file: str
    text: str
    instead: str
    tests: tuple[str, ...]


MUTANTS: dict[str, Mutant] = {
    # Money.
    "the balance guards the hold": Mutant(
        "server/accounts/allowance.py",
        'accounts.c.posted - accounts.c.held >= bindparam("hold"),',
        "",
        ("tests/test_ledger_holds.py::test_a_hold_needs_credit_that_is_free",),
    ),
    "the key's concurrency guards the hold": Mutant(
        "server/accounts/allowance.py",
        "keys.c.active < keys.c.concurrency,",
        "",
        ("tests/test_ledger_holds.py::test_a_key_has_so_many_edits_at_a_time",),
    ),
    "the key's spending limit guards the hold": Mutant(
        "server/accounts/allowance.py",
        'keys.c.spent + keys.c.held + bindparam("hold") <= keys.c.spend_limit,',
        "keys.c.id.is_not(None),",
        ("tests/test_ledger_holds.py::test_a_key_spends_up_to_its_limit_holds_included",),
    ),
    "a failed edit's hold is released": Mutant(
        "server/editor.py",
        "bill.fail(work.ending(outcome.value, known), loss=paid)",
        "pass",
        ("tests/test_faults_between.py", "-k", "upstream and reset"),
    ),
    "a bug's hold is released too": Mutant(
        "server/editor.py",
        "except BaseException as error:",
        "except EditError as error:",
        ("tests/test_known_bugs.py", "tests/test_error_table.py", "-k", "bug or cancel"),
    ),
    "submitted is recorded before the first byte": Mutant(
        "server/upstream/attempt.py",
        "self.on_send()",
        "pass",
        ("tests/test_upstream_session.py", "-k", "hook_runs_on_a_ready_connection"),
    ),
    "an edit ends once": Mutant(
        "server/accounts/endings.py",
        "or_(*(edits.c.state == source for source in sources)),",
        "",
        ("tests/test_ledger.py::test_every_verb_in_every_state",),
    ),
    "an edit that was swept is not its owner's": Mutant(
        "server/accounts/endings.py",
        'edits.c.owner == bindparam("by"),',
        "",
        ("tests/test_ledger.py", "tests/test_sweeper.py", "-k", "every_verb or given_up or owner"),
    ),
    "nobody pays more than the hold": Mutant(
        "server/accounts/endings.py",
        "charge: int = min(cost, hold)",
        "charge: int = cost",
        ("tests/test_ledger.py::test_more_than_the_hold_is_the_operators_loss_and_is_logged",),
    ),
    "an unknown outcome is no second submission": Mutant(
        "server/upstream/fates.py",
        "return self.billable or not self.fate.onward",
        "return not self.fate.onward",
        ("tests/test_unknown_outcomes.py::test_no_other_route_is_asked",),
    ),
    "an attempt sends one paid request": Mutant(
        "server/upstream/attempt.py",
        'raise RuntimeError("an attempt sends one paid request only")',
        "pass",
        ("tests/test_upstream_attempt.py::test_an_attempt_pays_once",),
    ),
    "a commit survives the power": Mutant(
        "server/accounts/writers.py",
        'synchronous="FULL"',
        'synchronous="NORMAL"',
        ("tests/test_durability.py",),
    ),
    "what cannot help is not to be retried": Mutant(
        "gateway_http/errors.py",
        'NEVER = {"x-should-retry": "false"}',
        "NEVER: dict[str, str] = {}",
        ("tests/test_front_errors.py::test_a_described_error",),
    ),
    # Idempotency.
    "an idempotency key is claimed with the hold": Mutant(
        "server/accounts/desk.py",
        "return Bill(self.ledger, order, also=claim, told=ticket.detached)",
        "return Bill(self.ledger, order, told=ticket.detached)",
        (
            "tests/test_known_bugs.py",
            "tests/test_front_sdk.py",
            "tests/test_error_table.py",
            "-k",
            "idempot or replay or key",
        ),
    ),
    "a claim belongs to one request": Mutant(
        "server/accounts/idempotency.py",
        "if claim.fingerprint != request_fingerprint:",
        "if False:",
        ("tests/test_error_table.py::test_an_idempotency_key_with_another_request",),
    ),
    "an original is given to one retry": Mutant(
        "server/accounts/retries.py",
        "return taken.rowcount == 1",
        "return True",
        (
            "tests/test_idempotency_races.py::test_of_equal_retries_at_once_each_gets_another_original",
        ),
    ),
    # Keys.
    "keys are kept as hashes": Mutant(
        "server/accounts/key_format.py",
        "return hashlib.sha256(key.encode()).hexdigest()",
        "return key",
        ("tests/test_keys.py::test_the_database_holds_none_of_many_keys",),
    ),
    "a revoked key does not live": Mutant(
        "server/accounts/keys.py",
        "if row is None or not (key := _key(row)).lives(self._clock()):",
        "if row is None or not (key := _key(row)):",
        ("tests/test_keys.py::test_a_key_works_until_it_is_revoked",),
    ),
    "the key is checked before every call": Mutant(
        "server/interceptors.py",
        'WITHOUT_KEY = frozenset({"ListModels", "GetModel"})',
        'WITHOUT_KEY = frozenset({"ListModels", "GetModel", "EditImage"})',
        ("tests/test_error_table.py::test_grpc",),
    ),
    "a key sees its own account's usage": Mutant(
        "server/usage_messages.py",
        "account_id=account_id,",
        "account_id=None,",
        ("tests/test_usage_reports.py::test_a_key_sees_its_accounts_edits_and_no_others",),
    ),
    "few ask about usage at a time": Mutant(
        "server/usage_reports.py",
        "if not taken:",
        "if False:",
        ("tests/test_usage_reports.py::test_only_a_few_ask_at_a_time_and_none_takes_all_places",),
    ),
    "a table of edits holds no formula": Mutant(
        "gateway_http/usage_render.py",
        "isinstance(value, str) and value.startswith(_FORMULA)",
        "False",
        ("tests/test_front_usage.py::test_csv_has_every_page_and_no_formula",),
    ),
    "keys do not travel in the clear": Mutant(
        "server/settings.py",
        "not settings.insecure and not _is_local(settings.grpc_address)",
        "False",
        ("tests/test_server_settings.py::test_a_wrong_value_is_named",),
    ),
    "a bug's text stays inside": Mutant(
        "server/interceptors.py",
        "context.abort_with_status(to_status(_bug()))",
        "raise",
        ("tests/test_error_table.py::test_a_bug_tells_nothing_but_that_it_is_one",),
    ),
    # Input.
    "pixels are counted before they are decoded": Mutant(
        "server/imaging/decode.py",
        "if file.width * file.height > max_pixels:",
        "if False:",
        ("tests/test_imaging_hostile.py::test_the_pixel_limit_is_exact",),
    ),
    "whatever a decoder raises is a refusal": Mutant(
        "server/imaging/decode.py",
        "except Exception as error:  # hostile",
        "except OSError as error:  # hostile",
        ("tests/test_imaging_gate.py", "tests/test_imaging_hostile.py", "-k", "broken or flipped"),
    ),
    "metadata goes": Mutant(
        "server/imaging/strip_png.py",
        "if kind in _ALWAYS_KEPT or colour in _KEPT_FOR.get(kind, ()):",
        "if True:",
        ("tests/test_imaging_metadata.py",),
    ),
    "a body has an end": Mutant(
        "gateway_http/form.py",
        "if self._seen > MAX_BODY:",
        "if False:",
        ("tests/test_front_form.py::test_the_largest_body_passes_and_one_byte_more_does_not",),
    ),
    "a form has its closing boundary": Mutant(
        "gateway_http/form.py",
        "if not self._splitter.closed:",
        "if False:",
        ("tests/test_front_form.py", "-k", "clos or bound or cut or end"),
    ),
    "a boundary may be cut in two": Mutant(
        "gateway_http/multipart.py",
        "return self._delimiter.startswith(rest)",
        "return False",
        ("tests/test_front_multipart.py",),
    ),
    "a boundary's line end may be cut in two": Mutant(
        "gateway_http/multipart.py",
        r"[ \t]{0,%d}\r?",
        r"[ \t]{0,%d}",
        ("tests/test_front_multipart.py",),
    ),
    "an empty part is one however it is cut": Mutant(
        "gateway_http/multipart.py",
        "return blank + 2  #",
        "self._first = False; return blank + 4  #",
        ("tests/test_front_multipart.py",),
    ),
    "a preamble has an end": Mutant(
        "gateway_http/multipart.py",
        "if self._preamble > MAX_PREAMBLE:",
        "if False:",
        ("tests/test_front_multipart.py",),
    ),
    "a part's header has an end": Mutant(
        "gateway_http/multipart.py",
        "- place > MAX_PART_HEADER:",
        "- place > 99 * MAX_PART_HEADER:",
        ("tests/test_front_multipart.py",),
    ),
    # Result URLs.
    "every address of a result's host is public": Mutant(
        "server/upstream/download.py",
        "if target.public_only and not all(is_public(found.sockaddr[0]) for found in addresses):",
        "if False:",
        ("tests/test_upstream_origins.py::test_an_address_that_is_not_public_is_refused",),
    ),
    "a result comes from the address that was checked": Mutant(
        "server/upstream/download.py",
        "with opened(host, addresses, attempt, tls=settings, connect=connect) as wire:",
        "with opened(host, addresses_of(host, origin.port, attempt, lookup), attempt, "
        "tls=settings, connect=connect) as wire:",
        ("tests/test_upstream_download.py::test_the_checked_address_is_asked_for_the_name",),
    ),
    "results come over https alone": Mutant(
        "server/upstream/origins.py",
        'if origin.scheme != "https" or origin.port != 443:',
        "if False:",
        ("tests/test_upstream_origins.py::test_a_hostile_url_causes_no_lookup_and_no_connection",),
    ),
    "a download has an end": Mutant(
        "server/upstream/exchange.py",
        "if size > limit:",
        "if False:",
        ("tests/test_upstream_download.py::test_the_limit_is_exact",),
    ),
    # Time.
    "the attempt's end cuts what blocks": Mutant(
        "server/upstream/attempt.py",
        "self._cut()",
        "pass",
        ("tests/test_upstream_attempt.py::test_cancelling_cuts_once_from_however_many_threads",),
    ),
    "who leaves after the first byte is waited for": Mutant(
        "server/upstream/attempt.py",
        "if self._reason is not None or (unless_billed and billed):",
        "if self._reason is not None:",
        ("tests/test_faults_between.py", "-k", "between_front and under"),
    ),
    "a breaker opens on upstream faults alone": Mutant(
        "server/upstream/attempts.py",
        "Verdict.FAULT if failure.fate.fault else Verdict.NEITHER",
        "Verdict.FAULT",
        ("tests/test_upstream_open_routes.py",),
    ),
    "an open route is not asked": Mutant(
        "server/upstream/breaker.py",
        "raise CircuitOpen(wait)",
        "pass",
        ("tests/test_upstream_breaker.py",),
    ),
    "one more try is paid from the budget": Mutant(
        "server/upstream/attempts.py",
        "elif not budget.spend():",
        "elif budget.spend() is None:",
        ("tests/test_upstream_budget.py",),
    ),
    "a place of the cap is given back": Mutant(
        "server/admission.py",
        "share.give(key)",
        "pass",
        ("tests/test_error_table.py::test_when_full_the_next_edit_is_refused_and_health_is_not",),
    ),
    "pictures' memory goes back": Mutant(
        "server/__main__.py",
        "    give_memory_back()\n",
        "",
        ("tests/test_memory.py::test_both_programs_are_told_the_same",),
    ),
    # Masks.
    "a mask is never dropped": Mutant(
        "server/prompts.py",
        "pictures = (*pictures, second_image_mask(plane))",
        "pass",
        ("tests/test_edit_road.py::test_no_mask_is_dropped_or_forwarded_untouched",),
    ),
    "OpenAI's masks are the other way round": Mutant(
        "server/imaging/masks.py",
        'mask.putalpha(plane.protected().convert("L"))',
        'mask.putalpha(plane.edited().convert("L"))',
        (
            "tests/test_imaging_masks.py::test_openai_reads_from_our_native_mask_what_our_caller_meant",
        ),
    ),
    "the input's own pixels are put back": Mutant(
        "server/imaging/seam.py",
        "onto.paste(source, mask=keep)",
        "pass",
        ("tests/test_imaging_paste_back.py::test_not_one_pixel_outside_the_mask_is_changed",),
    ),
    # Jobs.
    "a job is its account's own": Mutant(
        "server/accounts/operations.py",
        'edits.c.account_id == bindparam("of_account")',
        'edits.c.account_id != bindparam("of_account", "")',
        ("tests/test_operation_states.py", "-k", "accounts_own and sqlite"),
    ),
    "a job's result ends with its time": Mutant(
        "server/accounts/operations.py",
        "expires is not None and expires <= self._clock()",
        "False",
        ("tests/test_operation_states.py", "-k", "kept_as_long and sqlite"),
    ),
    "only what ended is forgotten": Mutant(
        "server/accounts/operations.py",
        "where(_its, ~_live)",
        "where(_its)",
        ("tests/test_operation_states.py", "-k", "only_what_ended and sqlite"),
    ),
    "a repeat of a start waits for nothing": Mutant(
        "server/detached.py",
        "raise Attached(edit_id)",
        "pass",
        ("tests/test_jobs.py::test_a_repeat_by_key_gives_the_same_job",),
    ),
    "retries of jobs and of plain edits are apart": Mutant(
        "server/accounts/desk.py",
        "return fingerprint.detached(asked) if self.detached else asked",
        "return asked",
        ("tests/test_jobs.py::test_retries_of_jobs_and_of_plain_edits_do_not_meet",),
    ),
    "a job whose id arrived is delivered": Mutant(
        "server/accounts/retries.py",
        '(~edits.c.delivered | (edits.c.created >= bindparam("just_now")))',
        '(edits.c.created >= bindparam("just_now") - 10**9)',
        ("tests/test_jobs.py::test_a_job_whose_id_arrived_is_no_original_of_a_later_retry",),
    ),
    "a wish for the end is heard in every service": Mutant(
        "server/background.py",
        "carried.end_cancelled()",
        "pass",
        ("tests/test_jobs.py", "-k", "another_service_on_the_database"),
    ),
    "a wish for the end closes a call that costs nothing then": Mutant(
        "server/upstream/attempts.py",
        "self._cancel_unbilled or caller.cancels",
        "self._cancel_unbilled",
        ("tests/test_jobs.py", "-k", "bills_no_cancelled_call"),
    ),
    "a failed job leaves no picture in memory": Mutant(
        "server/servicer.py",
        "forget(error)",
        "pass",
        ("tests/test_jobs.py", "-k", "no_picture_stays"),
    ),
    "a failed edit leaves no picture in memory": Mutant(
        "server/interceptors.py",
        "            forget(error)\n            replayed",
        "            replayed",
        ("tests/test_pictures_let_go.py",),
    ),
    # Callers' side.
    "a key never travels in the clear to another host": Mutant(
        "proto/imageedit/client/connection.py",
        "if not insecure and not _is_local(address):",
        "if False:",
        ("tests/test_client.py::test_a_key_never_travels_in_the_clear_to_another_host",),
    ),
    "the command leaves no half file": Mutant(
        "cli/saved.py",
        "part.unlink(missing_ok=True)",
        "pass",
        ("tests/test_command_edit.py::test_names_of_files",),
    ),
    "a message is no larger than a chunk": Mutant(
        "proto/imageedit/client/request.py",
        "CHUNK_BYTES = 1_048_576",
        "CHUNK_BYTES = 64 << 20",
        ("tests/test_client.py::test_pictures_over_a_message_limit_go_and_come_in_chunks",),
    ),
}
