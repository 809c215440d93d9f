@echo off
rem Runs the nablagen command, from any folder; builds it first where that is needed:
rem   scripts\nablagen generate --prompt "a cat on a windowsill" --output cat.mp4
setlocal
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0windows.ps1" nablagen || exit /b 1
dotnet "%~dp0..\src\NablaGen.Cli\bin\Release\net10.0\nablagen.dll" %*
exit /b %errorlevel%
