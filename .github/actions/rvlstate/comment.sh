#!/usr/bin/env bash
# Post the plan for the action. This step has the token and no Redis URL; the one that made the plan had it otherwise.
set -eo pipefail

rvlstate=(rvlstate --no-color)
if [ -n "$RVL_PROJECT" ]; then rvlstate+=(--project "$RVL_PROJECT"); fi
if [ -n "$RVL_ENVIRONMENT" ]; then rvlstate+=(--env "$RVL_ENVIRONMENT"); fi

words=(--plan "$RVL_PLAN_FILE")
if [ "$RVL_STATUS" = true ]; then words+=(--status); fi
"${rvlstate[@]}" comment "${words[@]}"
