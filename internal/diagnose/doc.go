// Package diagnose judges facts: it owns which cause explains what was seen,
// the verdict of each section, and the registry of findings with their words,
// remedies and pages. It refuses to collect: no file, request, environment or
// clock is read here, so the same facts always give the same report.
package diagnose
