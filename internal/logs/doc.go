// Package logs filters log lines by the package that writes them, and hides in
// them what is not for every reader of a log. Both can change while the program
// runs.
package logs
