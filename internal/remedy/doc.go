// Package remedy turns findings into a plan and a plan into journalled steps: it
// owns the choice of remedy, the journal, the order of the steps, their
// resumption after an interruption, and the proof. It refuses to judge a token
// (package diagnose does), and it reaches GitLab and the host only through the
// ports it declares.
package remedy
