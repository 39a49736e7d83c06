// Package conf reads configuration files in ejabberd's format: it turns YAML
// into trees whose values know their positions, expands includes, macros and
// keywords, and fills the Options structs of modules, strictly and with all
// problems of a file in one report.
package conf
