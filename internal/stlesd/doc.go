// Package stlesd judges the last point of a series by a seasonal decomposition of a window and a test for outliers.
//
// The decomposition is STL (Cleveland, Cleveland, McRae and Terpenning, "STL: A Seasonal-Trend Decomposition Procedure Based
// on Loess", Journal of Official Statistics 6, 1990) with its robust iterations. The test is the generalised extreme
// Studentised deviate (Rosner, "Percentage Points for a Generalized ESD Many-Outlier Procedure", Technometrics 25, 1983),
// and its variant with median and median absolute deviation (Hochenbaum, Vallis and Kejariwal, "Automatic Anomaly Detection
// in the Cloud Via Statistical Learning", 2017), which many outliers cannot blind.
//
// [Decompose], [Outliers] and [FindPeriod] stand for themselves; a [Detector] uses them online: a point is judged against
// the decomposition of the points before it, which is made anew after every Params.Every points. With every sixteenth, a window of 512 points costs 60 µs a point and
// one of 2048 four to five times that (go test -run '^$' -bench Detector ./internal/stlesd).
package stlesd
