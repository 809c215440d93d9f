@echo off
rem Builds everything in Release and runs the tests. Ends with a line "N passed, N failed, N skipped".
rem   scripts\test [options of the xunit v3 runner, such as -class "*Mp4WriterTests"]
setlocal
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0windows.ps1" test || exit /b 1
if not exist "%~dp0..\TestResults" mkdir "%~dp0..\TestResults"
del /q "%~dp0..\TestResults\tests.xml" 2>nul
dotnet "%~dp0..\tests\NablaGen.Tests\bin\Release\net10.0\NablaGen.Tests.dll" -noColor -xml "%~dp0..\TestResults\tests.xml" %*
set status=%errorlevel%
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0windows.ps1" summary
if %status% equ 0 set status=%errorlevel%
exit /b %status%
