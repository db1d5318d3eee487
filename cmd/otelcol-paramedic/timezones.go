package main

// The time zones of maintenance windows are known where no zoneinfo is installed, as in an empty image. The builder, which makes the
// other files of this folder, leaves this one alone.
import _ "time/tzdata"
