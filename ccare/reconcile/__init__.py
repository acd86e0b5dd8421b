"""Settlement bills against payments: the policy and the comparison."""
