@echo off
rem Gets everything ready: ffmpeg, the packages, the build. scripts\nablagen does the same on first use.
powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0windows.ps1" setup
exit /b %errorlevel%
