//go:build tools

// Package tools names the program that h2spec.sh builds.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
