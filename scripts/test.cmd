@echo off
rem Builds everything in Release and runs the tests. Ends with a line "N passed, N failed, N skipped".
rem   scripts\test [--format] [options of the xunit v3 runner, such as -class "*Mp4WriterTests" or -list classes]
rem --format: checks the code's format as well (slow).
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0windows.ps1" test %*
exit /b %errorlevel%
