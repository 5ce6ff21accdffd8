-- A job of SQL Server Agent: every night at 3:17. Run it in msdb, as sysadmin; again to change it. Agent never runs a job twice at once.
-- The steps run procver.exe, on the server or wherever this Agent runs; Agent itself cannot decide what may go. Their account should be a
-- proxy for CmdExec whose login is a member of procver_collector (docs/roles.md), with the target in procver.toml: mssql://db/shop
-- logs in as that account, and no password is stored.
USE msdb;
GO
IF EXISTS (SELECT 1 FROM dbo.sysjobs WHERE name = N'procver, shop')
    EXEC dbo.sp_delete_job @job_name = N'procver, shop';
EXEC dbo.sp_add_job
    @job_name = N'procver, shop',
    @description = N'Collects versions of procedures, functions and views that nothing deployed needs.',
    @notify_level_eventlog = 2;     -- if it fails
-- To be told by mail: @notify_level_email = 2, @notify_email_operator_name = N'DBA'.
EXEC dbo.sp_add_jobstep
    @job_name = N'procver, shop',
    @step_name = N'collect',
    @subsystem = N'CmdExec',
    -- @proxy_name = N'procver collector',
    @command = N'C:\procver\Scripts\procver.exe gc --apply --max 1000 --for 10m -C C:\shop',
    @cmdexec_success_code = 0,
    @retry_attempts = 2,            -- status 3: the server could not be reached; others will only fail again
    @retry_interval = 1,            -- minutes
    @on_success_action = 3,         -- next step
    @on_fail_action = 2;            -- quit with failure
EXEC dbo.sp_add_jobstep
    @job_name = N'procver, shop',
    @step_name = N'look for drift',
    @subsystem = N'CmdExec',
    -- @proxy_name = N'procver collector',
    @command = N'C:\procver\Scripts\procver.exe verify -C C:\shop',
    @cmdexec_success_code = 0,      -- status 1: there is drift
    @on_success_action = 1,
    @on_fail_action = 2;
EXEC dbo.sp_add_jobschedule
    @job_name = N'procver, shop',
    @name = N'every night',
    @freq_type = 4,                 -- daily
    @freq_interval = 1,
    @active_start_time = 31700;     -- hhmmss
EXEC dbo.sp_add_jobserver
    @job_name = N'procver, shop';
GO
