// Package explain says what a line of gitlab-runner's log means: its cause, its
// remedy, and whether it speaks of a token at all. It owns the catalogue of lines
// (tables of data, one row per line that gitlab-runner 14.10 to 19.x prints), the
// reading of the formats and prefixes under which they are found, and the folding
// of a whole journal into its problems.
//
// It is pure: it asks no network, no clock and no file, and it judges no token. A
// line is evidence, not a verdict; the causes are those that the line leaves
// possible, likeliest first. It never shows a token, nor a control character that
// a log could use against a terminal.
package explain
