#!/usr/bin/env bash
# Run one command of rvlstate for the action, and write its outputs: exit-code, plan-file and has-changes.
#
# An exit code that says something (changes, drift, a plan that refuses a change) is left to the last step of the
# action, so that the plan can be posted first; any other one ends this step.
set -eo pipefail

case "$RVL_COMMAND" in
  validate | plan | apply | drift) ;;
  *)
    echo "::error::command is validate, plan, apply or drift."
    exit 64
    ;;
esac

if [ -n "$RVL_REDIS_URL" ]; then
  export REDIS_URL="$RVL_REDIS_URL"
fi
if [ "$RVL_COMMAND" != validate ] && [ -z "$REDIS_URL" ]; then
  echo "::error::redis-url is empty: the secret is not set, or not given to runs of forks and of Dependabot."
  exit 1
fi

rvlstate=(rvlstate --no-color)
if [ -n "$RVL_PROJECT" ]; then rvlstate+=(--project "$RVL_PROJECT"); fi
if [ -n "$RVL_ENVIRONMENT" ]; then rvlstate+=(--env "$RVL_ENVIRONMENT"); fi

code=0
plan=""
case "$RVL_COMMAND" in
  validate)
    "${rvlstate[@]}" validate || code=$?
    ;;
  plan)
    plan="${RVL_PLAN_FILE:-$RUNNER_TEMP/rvlstate-plan.json}"
    rm -f "$plan"
    "${rvlstate[@]}" plan --out "$plan" --detailed-exitcode --format markdown > "$RUNNER_TEMP/rvlstate-plan.md" || code=$?
    if [ ! -f "$plan" ]; then exit "$code"; fi
    # The comment step writes the summary by itself where it may not comment.
    if [ "$RVL_COMMENT" != true ]; then cat "$RUNNER_TEMP/rvlstate-plan.md" >> "$GITHUB_STEP_SUMMARY"; fi
    ;;
  apply)
    plan="$RVL_PLAN_FILE"
    "${rvlstate[@]}" apply ${plan:+"$plan"} --yes --lock-timeout "$RVL_LOCK_TIMEOUT" || code=$?
    ;;
  drift)
    "${rvlstate[@]}" drift --format markdown | tee -a "$GITHUB_STEP_SUMMARY" || code=$?
    ;;
esac

changes=false
if [ "$code" -eq 2 ]; then changes=true; fi
{
  echo "exit-code=$code"
  echo "has-changes=$changes"
  echo "plan-file=$plan"
} >> "$GITHUB_OUTPUT"

case "$code" in 0 | 2 | 3) ;; *) exit "$code" ;; esac
