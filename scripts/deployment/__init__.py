"""Deploying to AWS, trying a deployed stage, taking one down: what is behind deploy.sh, smoke.sh and destroy.sh."""
